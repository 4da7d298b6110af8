import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.specs import parse_spec


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("compss", "compss", ""),
        ("compss@eflows4hpc", "compss", "eflows4hpc"),
        ("kratos@9.4 apps=A,B", "kratos", "9.4"),
        ("hdf5@1.10:1.12+mpi~shared ^openmpi@4", "hdf5", "1.10:1.12"),
        ("py-numpy+blas", "py-numpy", ""),
        ("zlib%gcc@12", "zlib", ""),
        ("m4@=1.4.18", "m4", "=1.4.18"),
        ("3proxy", "3proxy", ""),
    ],
)
def test_name_and_version_are_found(text: str, name: str, version: str) -> None:
    spec = parse_spec(text)
    assert (spec.name, spec.version) == (name, version)


@pytest.mark.parametrize("text", ["", "@1.0", "-x", "Kratos", "a=b", "a:b", "zlib@", "a/b"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(EntryError, match="not a Spack spec"):
        parse_spec(text)


@given(st.text(max_size=40))
def test_any_text_is_a_spec_or_an_entry_error(text: str) -> None:
    try:
        assert parse_spec(text).name
    except EntryError as error:
        assert error.hint  # noqa: PT017 either way is right

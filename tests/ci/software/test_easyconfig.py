import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.software.easyconfig import UNKNOWN, Constant, read_easyconfig

GOOD = """
# HDF5
easyblock = 'ConfigureMake'
name = 'HDF5'
version = '1.14.0'
local_base = 'https://example.org/'
homepage = local_base + name
toolchain = SYSTEM
sources = [SOURCELOWER_TAR_GZ, '%s-%s.tgz' % (name, version), f'{name}.tar']
dependencies = [('zlib', '1.2.13', '', ('GCCcore', '12.2.0'))]
configopts = ['--with-%s' % x for x in ('a', 'b')]
moduleclass = 'data'
"""


def test_plain_assignments_are_data() -> None:
    found = read_easyconfig(GOOD.encode(), "packages/hdf5/HDF5.eb")
    assert (found.name, found.version) == ("HDF5", "1.14.0")
    assert found.parameters["toolchain"].line == 8


MORE = """
name = 'PyDMD'
version = '1.0'
versionsuffix = '-Python-%(pyver)s'
toolchain = {'name': 'foss', 'version': local_year}
dependencies = [('Python', '3.11.3'), ('x', version, '', SYSTEM)]
prebuildopts = preinstallopts = 'A=1 '
patches = ['a.patch']
if ARCH == 'aarch64':
    patches += ['b.patch']
local_short = '.'.join(version.split('.')[:2])
"""


def test_values_are_known_as_far_as_they_are_written_out() -> None:
    found = read_easyconfig(MORE.encode(), "a.eb")
    assert found.text("versionsuffix") == "-Python-%(pyver)s"
    toolchain = found.parameters["toolchain"].value
    assert toolchain["name"] == "foss"
    assert isinstance(toolchain["version"], Constant)
    second = found.items["dependencies"][1]
    assert second.value == ("x", "1.0", "", "SYSTEM")
    assert (second.line, second.column) == (6, 39)
    assert found.text("preinstallopts") == "A=1 "
    assert found.parameters["patches"].value is UNKNOWN
    assert "patches" not in found.items
    assert found.text("local_short") == ""


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "x = open('/etc/passwd')",
        "x = __builtins__",
        "x = name.__class__",
        "def f(): pass",
        "for x in []: pass",
        "x = lambda: 1",
        "x -= 1",
        "x = a = b.c = 1",
        "if open(1): pass",
        "while True: pass",
        "x = name.format(open(1))",
        "x = ''.join(a=open(1))",
        "x = [].__class__()",
        "a, b = 1, 2",
        "a.b = 1",
        "print('x')",
        "x = 'a' * 10**10",
        "x = [y for y in (z := [1])]",
        "del name",
        "f'{open(1)}'",
    ],
)
def test_everything_that_could_act_is_refused_at_its_line(line: str) -> None:
    with pytest.raises(EntryError, match="plain assignments") as caught:
        read_easyconfig(f"name = 'x'\n{line}\n".encode(), "x.eb")
    assert caught.value.line == 2


@given(data=st.binary(max_size=200) | st.text(alphabet="name='x[](){}%+\n, fori").map(str.encode))
def test_any_bytes_are_an_easyconfig_or_an_entry_error(data: bytes) -> None:
    try:
        read_easyconfig(data, "x.eb")
    except EntryError as error:
        assert error.path == "x.eb"  # noqa: PT017 either way is right

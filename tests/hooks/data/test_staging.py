from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ci.errors import EntryError, SiteError
from hooks.data.staging import list_results, stage_in, stage_out
from hooks.sites.transports.local import LocalTransport


class OneFile:
    """A mover that knows a single file."""

    def fetch(self, source: str, target: Path, *, most_bytes: int) -> int:
        target.write_text(source)
        return len(source)


@pytest.fixture
def working(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def bring(tmp_path: Path, working: Path):
    deployed = tmp_path / "deployed"
    (deployed / "data" / "sub").mkdir(parents=True)
    (deployed / "data" / "a").write_text("A")
    (deployed / "data" / "sub" / "b").write_text("B")
    (deployed / "up").symlink_to("..")
    (tmp_path / "secret").write_text("secret")

    def act(source: str, target: str) -> PurePosixPath:
        return stage_in(
            LocalTransport("here"),
            source,
            working=PurePosixPath(working),
            target=target,
            deployed=PurePosixPath(deployed),
            scratch=tmp_path / "scratch",
            known={"https": OneFile()},
        )

    return act


def keep(working: Path, pattern: str, target: Path, **limits: int) -> list[str]:
    kept = stage_out(
        LocalTransport("here"),
        pattern,
        working=PurePosixPath(working),
        target=target,
        **limits,
    )
    assert all(file.local.stat().st_size == file.size for file in kept)
    return [str(file.path) for file in kept]


def test_a_fetched_file_is_put_in_its_place_and_not_left_here(
    bring, working: Path, tmp_path: Path
) -> None:
    there = bring("https://example.org/x", "in/x")
    assert there == PurePosixPath(working / "in" / "x")
    assert (working / "in" / "x").read_text() == "https://example.org/x"
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("times", [1, 2])
def test_files_and_folders_of_the_workflow_are_copied(bring, working: Path, times: int) -> None:
    for _ in range(times):
        bring("registry:data/a", "in/a file")
        bring("registry:data", "in/all")
    assert (working / "in" / "a file").read_text() == "A"
    assert (working / "in" / "all" / "sub" / "b").read_text() == "B"
    assert sorted(p.name for p in (working / "in").iterdir()) == ["a file", "all"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("registry:../secret", "x"),
        ("registry:/etc/passwd", "x"),
        ("registry:up/secret", "x"),
        ("registry:none", "x"),
        ("registry:", "x"),
        ("registry:data/a", "../x"),
        ("registry:data/a", "/x"),
        ("https://example.org/x", "a/../../x"),
        ("ftp://example.org/x", "x"),
    ],
)
def test_nothing_leads_out_of_its_folder(bring, working: Path, source: str, target: str) -> None:
    with pytest.raises(EntryError):
        bring(source, target)
    assert list(working.rglob("*")) == []
    assert [path.name for path in working.parent.iterdir()] == ["1"]


def test_patterns_name_files_and_folders_stand_for_all_in_them(
    working: Path, tmp_path: Path
) -> None:
    for name in ("a.txt", "b c.txt", "d.dat", "out/x", "out/deep/.y", "-n", "$(touch z)"):
        (working / name).parent.mkdir(parents=True, exist_ok=True)
        (working / name).write_text(name)
    target = tmp_path / "kept"
    assert keep(working, "*.txt", target) == ["a.txt", "b c.txt"]
    assert keep(working, "out", target) == ["out/deep/.y", "out/x"]
    assert keep(working, "[ad].*", target) == ["a.txt", "d.dat"]
    assert keep(working, "-n", target) == ["-n"]
    assert keep(working, "$(touch z)", target) == ["$(touch z)"]
    assert (target / "b c.txt").read_text() == "b c.txt"
    assert not list(tmp_path.rglob("z"))


@pytest.mark.parametrize("pattern", ["$(touch pwned)", "`touch pwned`", "; touch pwned", "${HOME}"])
def test_a_pattern_is_never_evaluated(working: Path, tmp_path: Path, pattern: str) -> None:
    with pytest.raises(EntryError, match="no file matches"):
        keep(working, pattern, tmp_path / "kept")
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("pattern", ["..", "../*", "/etc/passwd", "a/../../x", "", "a\nb"])
def test_a_pattern_that_leads_out_is_refused(working: Path, tmp_path: Path, pattern: str) -> None:
    with pytest.raises(EntryError, match="inside"):
        keep(working, pattern, tmp_path / "kept")


@pytest.mark.parametrize("pattern", ["link", "*", "folder/secret", "folder/*"])
def test_a_symbolic_link_that_leads_out_is_refused(
    working: Path, tmp_path: Path, pattern: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (working / "link").symlink_to(outside / "secret")
    (working / "folder").symlink_to(outside)
    with pytest.raises(EntryError, match="leads out"):
        keep(working, pattern, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_links_inside_a_kept_folder_are_not_followed(working: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (working / "out").mkdir()
    (working / "out" / "link").symlink_to(tmp_path / "secret")
    (working / "out" / "x").write_text("x")
    assert keep(working, "out", tmp_path / "kept") == ["out/x"]


def test_a_link_that_stays_inside_is_as_good_as_what_it_names(
    working: Path, tmp_path: Path
) -> None:
    (working / "run-1").mkdir()
    (working / "run-1" / "x").write_text("x")
    (working / "latest").symlink_to("run-1")
    assert keep(working, "latest/x", tmp_path / "kept") == ["run-1/x"]


def test_more_than_may_be_kept_is_refused_before_anything_is_fetched(
    working: Path, tmp_path: Path
) -> None:
    (working / "big").write_bytes(b"x" * 1001)
    with pytest.raises(EntryError, match="1001 bytes"):
        keep(working, "big", tmp_path / "kept", most_bytes=1000)
    assert not (tmp_path / "kept").exists()


def test_a_working_folder_that_is_gone_is_the_sites(tmp_path: Path) -> None:
    with pytest.raises(SiteError):
        list_results(LocalTransport("here"), PurePosixPath(tmp_path / "gone"), "*")

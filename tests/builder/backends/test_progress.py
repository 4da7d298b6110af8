import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from builder.backends.progress import PlainProgress, Progress

RUN = "[2/3] RUN --mount=type=secret,id=ca     set -eu;     apt-get install -y nope"


def log(vertex: str, text: str) -> dict[str, object]:
    data = base64.b64encode(text.encode()).decode()
    return {"logs": [{"vertex": vertex, "stream": 2, "data": data}]}


def failing(output: str, name: str = RUN) -> str:
    """What BuildKit says of a step that fails."""
    error = 'process "/bin/sh" did not complete successfully: exit code: 100'
    objects = [
        {"vertexes": [{"digest": "i", "name": "[internal] load", "started": "t"}]},
        {"vertexes": [{"digest": "c", "name": "[1/3] FROM base", "started": "t", "cached": True}]},
        {"vertexes": [{"digest": "r", "name": name, "started": "t"}]},
        {"statuses": [{"id": "transferring", "vertex": "i", "current": 2}]},
        log("r", output),
        {"vertexes": [{"digest": "r", "name": name, "started": "t", "error": error}]},
    ]
    text = "".join(json.dumps(o, indent=2) + "\n" for o in objects)
    return text + "recipe:3\n-----\nERROR: failed to solve: exit code 100\n"


def read(stream: str, size: int = 10**9) -> tuple[Progress, list[str]]:
    progress = Progress()
    lines = [
        line
        for start in range(0, len(stream), size)
        for line in progress.feed(stream[start : start + size])
    ]
    return progress, lines


def test_lines_are_steps_and_their_output() -> None:
    _, lines = read(failing("one\ntwo\n"))
    assert lines[:4] == ["[1/3] FROM base (cached)", RUN, "one", "two"]
    assert "ERROR: failed to solve: exit code 100" in lines


@given(st.integers(min_value=1, max_value=400))
def test_pieces_of_any_length_say_the_same(size: int) -> None:
    stream = failing("Reading…\nE: Unable to locate package nope\n")
    assert read(stream, size)[1] == read(stream)[1]


def test_the_first_error_of_the_failing_step_is_the_reason() -> None:
    output = "debconf: unable to open\nE: Unable to locate package nope\nE: and more\n"
    progress, _ = read(failing(output))
    assert progress.reason() == "E: Unable to locate package nope"
    assert progress.step_name() == "RUN set -eu; apt-get install -y nope"


def test_without_an_error_line_the_last_line_is_the_reason() -> None:
    progress, _ = read(failing("Traceback\nValueError: 3\n"))
    assert progress.reason() == "ValueError: 3"


def test_a_silent_step_has_its_exit_code() -> None:
    progress, _ = read(failing(""))
    assert "exit code: 100" in progress.reason()


def test_a_long_instruction_is_cut_at_its_beginning() -> None:
    progress, _ = read(failing("", name=f"[builder 2/3] RUN {'x' * 500}; make"))
    assert progress.step_name().endswith("; make")
    assert len(progress.step_name()) < 200


def test_a_failure_outside_the_recipe_has_no_instruction() -> None:
    progress, _ = read(failing("", name="[context base] OCI load from client"))
    assert progress.step_name() == ""


def test_an_engine_that_does_not_answer_is_quoted() -> None:
    progress, _ = read("ERROR: Cannot connect to the Docker daemon\n")
    assert progress.reason() == "ERROR: Cannot connect to the Docker daemon"


BUILDAH = """STEP 1/3: FROM localhost/base AS image
STEP 2/3: RUN --mount=type=secret,id=ca,target=/run/secrets/ca     echo one; cat x
one
cat: x: No such file or directory
last
subprocess exited with status 3
Error: building at STEP "RUN --mount=type=secret,id=ca echo one; cat x": exit status 3
"""


def test_buildahs_failing_step_is_named_without_its_mounts() -> None:
    progress = PlainProgress()
    lines = [line for piece in BUILDAH.splitlines(keepends=True) for line in progress.feed(piece)]
    assert progress.reason() == "cat: x: No such file or directory"
    assert progress.step_name() == "RUN echo one; cat x"
    assert not any(line.startswith("subprocess") for line in lines)


def test_an_error_of_buildah_itself_is_in_no_step() -> None:
    progress = PlainProgress()
    assert list(progress.feed("Error: creating build container: image not known\n"))
    assert progress.step_name() == ""
    assert "image not known" in progress.reason()


def test_output_without_a_line_end_does_not_hide_the_error() -> None:
    progress = PlainProgress()
    for piece in ("STEP 2/2: RUN printf oops; false\n", 'oopsError: building at STEP "RUN x": 1\n'):
        list(progress.feed(piece))
    assert progress.step_name() == "RUN printf oops; false"


@given(st.lists(st.text(max_size=60), max_size=10))
def test_any_text_of_buildah_is_taken(pieces: list[str]) -> None:
    progress = PlainProgress()
    for piece in pieces:
        list(progress.feed(piece))
    assert isinstance(progress.reason() + progress.step_name(), str)


TITLED = "RUN --mount=type=cache,id=a --network=none : 'run post_inst.sh'; set -eu; ./post_inst.sh"


def test_a_script_that_says_what_it_is_for_is_told_by_that():
    progress = Progress()
    vertex = {"digest": "d", "name": f"[image 2/3] {TITLED}", "started": "now"}
    error = {"error": 'process "/bin/sh -c ' + "x " * 300 + '" did not complete: exit code: 1'}
    lines = list(progress.feed(json.dumps({"vertexes": [vertex]})))
    lines += progress.feed(json.dumps({"vertexes": [vertex | error]}))
    assert lines[0] == "[image 2/3] run post_inst.sh"
    assert lines[1].endswith("did not complete: exit code: 1")
    assert len(lines[1]) < 200
    assert progress.step_name() == "run post_inst.sh"
    plain = PlainProgress()
    assert list(plain.feed(f"STEP 2/3: {TITLED}\n")) == ["STEP 2/3: run post_inst.sh"]
    list(plain.feed(f'Error: building at STEP "{TITLED}": exit status 1\n'))
    assert plain.step_name() == "run post_inst.sh"


def test_an_error_of_python_is_the_reason():
    progress = Progress()
    text = base64.b64encode(b"Traceback\nModuleNotFoundError: No module named 'numpyy'\nerror: x\n")
    status = {"vertexes": [{"digest": "d", "name": "[1/1] RUN x", "error": "exit code: 1"}]}
    status["logs"] = [{"vertex": "d", "data": text.decode()}]
    list(progress.feed(json.dumps(status)))
    assert progress.reason() == "ModuleNotFoundError: No module named 'numpyy'"


def output(vertex: str, text: str, stream: int = 1) -> str:
    data = base64.b64encode(text.encode()).decode()
    return json.dumps({"logs": [{"vertex": vertex, "stream": stream, "data": data}]})


def test_pieces_of_lines_are_put_together_again_each_stream_for_itself():
    progress = Progress()
    list(progress.feed(json.dumps({"vertexes": [{"digest": "d", "name": "[1/1] RUN x"}]})))
    lines: list[str] = []
    for piece in (
        output("d", "E", 2),
        output("d", "working\nmo", 1),
        output("d", ": Failed to fetch http://x", 2),
        output("d", "re\n10%\r20%\r30%\n", 1),
        output("d", "  Could not connect\nthe end", 2),
    ):
        lines += progress.feed(piece)
    assert lines == ["working", "more", "30%", "E: Failed to fetch http://x  Could not connect"]
    done = {"digest": "d", "name": "[1/1] RUN x", "error": "exit code: 100"}
    lines = list(progress.feed(json.dumps({"vertexes": [done]})))
    assert lines == ["exit code: 100", "the end"]
    assert progress.reason() == "E: Failed to fetch http://x  Could not connect"

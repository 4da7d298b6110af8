"""From a topology's operations to tasks: what acts at run time, and what it waits for."""

import pytest

from ci.errors import EntryError
from ci.tosca.graph import Operation
from hooks.executions.plan import tasks

IMAGE = "imagecreation.ansible.nodes.ImageCreation"
JOB, IN, OUT = (f"hpcwaas.nodes.{name}" for name in ("ContainerJob", "StageIn", "StageOut"))
IMAGES = {"simulate": {"image": "/deploy/images/ab.sif"}}
STEPS = {"Run": ("rom", "simulate")}


def job(*after, **properties):
    given = {"application": {"command": "python3", "arguments": [1, "x"]}, **properties}
    return Operation("Run", "Run", JOB, given, after)


def test_a_job_knows_its_image_command_and_resources():
    params = {"tasks": 4, "mpi": True, "time_limit": "00:05:00"}
    [task] = tasks([job(submission_params=params)], STEPS, IMAGES)
    assert task.values == {
        "step": "simulate",
        "image": "/deploy/images/ab.sif",
        "command": "python3",
        "arguments": ["1", "x"],
        "environment": {},
        "mpi": True,
        "resources": {"tasks": 4, "time_limit": "00:05:00"},
    }


def test_what_happened_at_deployment_is_no_task_but_keeps_the_order():
    operations = [
        Operation("Data", "Data", IN, {"source": "registry:a", "target": "a"}),
        Operation("Image", "Image", IMAGE, {}, ("Data",)),
        job("Image"),
        Operation("Keep", "Keep", OUT, {"source": "*.png", "name": "p"}, ("Run",)),
    ]
    found = tasks(operations, STEPS, IMAGES)
    assert [(t.id, t.depends_on) for t in found] == [
        ("Data", ()),
        ("Run", ("Data",)),
        ("Keep", ("Run",)),
    ]


def test_a_node_that_this_service_does_not_run_is_named():
    other = Operation("Pycompss", "Pycompss", "org.eflows4hpc.pycompss.plugin.nodes.PyCOMPSJob")
    with pytest.raises(EntryError, match="node Pycompss: this service does not run"):
        tasks([other], {}, {})


@pytest.mark.parametrize(
    ("operation", "images", "sentence"),
    [
        (Operation("Other", "Other", JOB, {}), IMAGES, "job Other has no image"),
        (job(), {}, "no image of step 'simulate' is deployed"),
        (job(application={}), IMAGES, "job Run has no command"),
    ],
)
def test_a_job_that_cannot_run_says_why(operation, images, sentence):
    with pytest.raises(EntryError, match=sentence):
        tasks([operation], STEPS, images)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../../b"])
@pytest.mark.parametrize("kind", [IN, OUT])
def test_data_stays_inside_the_working_folder(path, kind):
    properties = {"source": "registry:a", "target": path, "name": "n"}
    if kind == OUT:
        properties = {"source": path, "name": "n"}
    with pytest.raises(EntryError, match="inside the working folder"):
        tasks([Operation("Data", "Data", kind, properties)], {}, {})

"""The science of the flagship: right, whatever the number of ranks."""

import json
import threading
from pathlib import Path
from queue import Queue

import heat
import numpy as np
import pytest
import reduce
import reduced_model
import report
import simulate
import sweep
from rsvd import randomised_svd
from seeds import REGISTRY
from strips import split

DATA = REGISTRY / "reduced_order_model" / "data" / "sweep.json"
NOBODY = -2


class Ranks:
    """MPI's ``Sendrecv`` and ``Gatherv`` between threads, one a rank."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.mail = {(a, b): Queue() for a in range(size) for b in range(size)}

    def run(self, work):
        results = [None] * self.size

        def one(rank):
            results[rank] = work(Rank(self, rank))

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results


class Rank:
    def __init__(self, world: Ranks, rank: int) -> None:
        self.world, self.rank, self.size = world, rank, world.size

    def Sendrecv(self, sendbuf, dest, *, recvbuf, source):
        if dest != NOBODY:
            self.world.mail[self.rank, dest].put(sendbuf.copy())
        if source != NOBODY:
            recvbuf[...] = self.world.mail[source, self.rank].get(timeout=30)

    def Gatherv(self, sendbuf, recvbuf, root=0):
        self.world.mail[self.rank, root].put(sendbuf.copy())
        if self.rank == root:
            whole, _counts = recvbuf
            blocks = [self.world.mail[r, root].get(timeout=30) for r in range(self.size)]
            whole[...] = np.concatenate(blocks)


def fields(ranks: int, grid: int = 20, steps: int = 120):
    given = sweep.read(DATA)
    plate = heat.Plate(given.side, grid)
    work = lambda comm: simulate.simulate(given, plate, steps, comm, NOBODY)  # noqa: E731
    return Ranks(ranks).run(work)[0]


@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
def test_the_result_does_not_depend_on_the_number_of_ranks(ranks):
    alone, together = fields(1), fields(ranks)
    assert np.abs(alone).max() > 1
    np.testing.assert_array_equal(together, alone)  # the same operations in the same order


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": 0}, "training must be a whole number"),
        ({"side": True}, "side must be a positive number"),
        ({"parameters": {"x": 1}}, "parameters must be exactly"),
        ({"parameters": {"x": 0.2}}, "x must lie inside the plate"),
        ({"parameters": {"peak": [2, 1]}}, r"peak must be a positive number or \[low, high\]"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(change, message, tmp_path):
    given = json.loads(DATA.read_text())
    name, value = next(iter(change.items()))
    whole = name == "parameters" and value != {"x": 1}
    given[name] = given[name] | value if whole else value
    (tmp_path / "sweep.json").write_text(json.dumps(given))
    with pytest.raises(sweep.SweepError, match=message):
        sweep.read(tmp_path / "sweep.json")


def test_strips_cover_every_row_once():
    for rows, ranks in ((10, 3), (7, 7), (112, 5)):
        strips = split(rows, ranks)
        assert [r for s in strips for r in range(s.start, s.stop)] == list(range(rows))
        heights = [s.stop - s.start for s in strips]
        assert max(heights) - min(heights) <= 1
    with pytest.raises(ValueError, match="fewer ranks"):
        split(3, 4)


def test_a_sine_mode_decays_as_the_equation_says_and_converges_with_order_two():
    """u = sin(pi x/L) sin(pi y/L) decays as exp(-2 pi² alpha t/L²) without a source."""
    errors = []
    for level, points in enumerate((9, 19, 39)):  # h halves, and dt with its square
        length = 0.1
        plate = heat.Plate(length, points)
        alpha, end = 1e-5, 20.0
        steps = 40 * 4**level
        assert steps >= plate.stable_steps(alpha, end)
        x = np.sin(np.pi * np.arange(points + 2) / (points + 1))
        u = np.ascontiguousarray(x[:, None, None] * x[None, None, :])
        start = u.copy()
        stepper = heat.Stepper(plate, np.array([alpha]), np.zeros((points, 1, points)), end / steps)
        for _ in range(steps):
            stepper.step(u)
        exact = start * np.exp(-2 * np.pi**2 * alpha * end / length**2)
        errors.append(float(np.abs(u - exact)[1:-1, :, 1:-1].max()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_a_sine_mode_of_the_grid_decays_by_its_eigenvalue_to_rounding():
    """The modes (p, q) are eigenvectors of the stencil, for any diffusivity of the sweep."""
    plate, diffusivity, dt = heat.Plate(0.1, 15), np.array([1e-5, 1e-4]), 0.05
    along = np.sin(np.pi * np.arange(17) / 16)
    across = np.sin(2 * np.pi * np.arange(17) / 16)
    u = np.repeat((along[:, None] * across)[:, None, :], 2, axis=1)
    u[[0, -1]], u[:, :, [0, -1]] = 0.0, 0.0
    start = u.copy()
    stepper = heat.Stepper(plate, diffusivity, np.zeros((15, 2, 15)), dt)
    for _ in range(50):
        stepper.step(u)
    eigenvalue = 4 / plate.h**2 * sum(np.sin(k * np.pi / 32) ** 2 for k in (1, 2))
    factor = (1 - diffusivity * dt * eigenvalue) ** 50
    np.testing.assert_allclose(u, start * factor[:, None], rtol=0, atol=1e-13)


def test_the_randomised_svd_finds_what_the_full_one_finds():
    rng = np.random.default_rng(1)
    left, _ = np.linalg.qr(rng.standard_normal((300, 30)))
    right, _ = np.linalg.qr(rng.standard_normal((80, 30)))
    matrix = (left * 0.5 ** np.arange(30)) @ right.T
    found = randomised_svd(matrix, 10)
    exact = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(found[1][:10], exact[:10], rtol=1e-6)


@pytest.fixture(scope="module")
def worked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rom")
    given = sweep.read(DATA)
    simulate.write(folder / "snapshots.npz", given, fields(1, 24, 260), 1.0, 1)
    code = reduce.main(
        ["--snapshots", str(folder / "snapshots.npz"), "--output", str(folder / "model.npz")]
    )
    assert code == 0
    return folder


def test_the_report_evaluates_the_model_as_reduce_fitted_it(worked):
    """The kernel stands in both steps, since an image holds only its own: they must agree."""
    model = reduced_model.load(worked / "model.npz")
    with np.load(worked / "snapshots.npz") as data:
        fields, parameters = data["fields"], data["parameters"]
    flat = fields.reshape(*fields.shape[:2], -1)
    for run in (0, 17, 39):
        projected = flat[run] @ model.modes
        np.testing.assert_allclose(
            model.coefficients(parameters[run]), projected, atol=1e-4 * np.abs(projected).max()
        )


def run_report(worked: Path, out: Path, bound: float) -> int:
    given = {
        "--snapshots": worked / "snapshots.npz",
        "--model": worked / "model.npz",
        "--folder": out,
        "--error-bound": bound,
    }
    return report.main([str(word) for pair in given.items() for word in pair])


def test_the_reduced_model_predicts_what_it_has_not_seen(worked, tmp_path):
    assert run_report(worked, tmp_path, 0.1) == 0
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["passed"] is True
    assert 0 < told["largest_error"] < 0.1
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_the_report_fails_over_the_bound(worked, tmp_path, capsys):
    assert run_report(worked, tmp_path, 1e-6) == 1
    assert "bound" in capsys.readouterr().err


def test_a_grid_that_the_steps_cannot_follow_is_refused():
    with pytest.raises((SystemExit, ValueError), match="10 time steps are unstable"):
        simulate.check(sweep.read(DATA), heat.Plate(0.1, 64), 10)

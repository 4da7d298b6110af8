from spack.package import *


class PyEzyrb(PythonPackage):
    """EZyRB: data-driven reduced-order models of parametrised problems (POD with interpolation)."""

    homepage = "https://github.com/mathLab/EZyRB"
    pypi = "ezyrb/ezyrb-1.3.0.post2404.tar.gz"

    license("MIT")

    version(
        "1.3.0.post2404",
        sha256="4fdbe053c1c97b9d54ec3f974aea1d158e1fb4f8d87fe4198fc347e7c28616d5",
    )

    depends_on("py-setuptools", type="build")

    depends_on("py-future", type=("build", "run"))
    depends_on("py-numpy", type=("build", "run"))
    depends_on("py-scipy", type=("build", "run"))
    depends_on("py-matplotlib", type=("build", "run"))
    depends_on("py-scikit-learn@1.0:", type=("build", "run"))
    depends_on("py-torch", type=("build", "run"))

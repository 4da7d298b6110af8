from spack.package import *


class PyPydmd(PythonPackage):
    """PyDMD: dynamic mode decomposition, which finds growth rates and frequencies in snapshots."""

    homepage = "https://pydmd.github.io/PyDMD"
    git = "https://github.com/PyDMD/PyDMD.git"
    pypi = "pydmd/pydmd-2025.8.1.tar.gz"

    license("MIT")

    version(
        "2025.8.1",
        sha256="3f4d1c3d48e33e43430b46dc1f1ad757c507376c23f7cd68e5abaa1ae526205c",
    )

    depends_on("python@3.8:", type=("build", "run"))
    depends_on("py-setuptools@41:", type="build")
    depends_on("py-setuptools-git-versioning@2:2", type="build")
    depends_on("py-wheel", type="build")

    depends_on("py-numpy", type=("build", "run"))
    depends_on("py-scipy@1.6.0:", type=("build", "run"))
    depends_on("py-matplotlib", type=("build", "run"))
    depends_on("py-scikit-learn", type=("build", "run"))
    depends_on("py-xarray", type=("build", "run"))
    depends_on("py-h5netcdf", type=("build", "run"))
    depends_on("py-typing-extensions@4.7.0:", when="^python@:3.11", type=("build", "run"))

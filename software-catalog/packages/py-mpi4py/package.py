from spack.package import *


class PyMpi4py(PythonPackage):
    """MPI for Python: what the step `simulate` of reduced_order_model exchanges its halos with."""

    homepage = "https://mpi4py.github.io"
    pypi = "mpi4py/mpi4py-3.1.6.tar.gz"

    license("BSD-2-Clause")

    version(
        "3.1.6",
        sha256="c8fa625e0f92b082ef955bfb52f19fa6691d29273d7d71135d295aa143dee6cb",
    )

    depends_on("c", type="build")

    depends_on("python@3.6:", type=("build", "run"))
    depends_on("py-setuptools@40.9:", type="build")
    depends_on("py-wheel", type="build")
    depends_on("py-cython@3:", type="build")
    depends_on("mpi")

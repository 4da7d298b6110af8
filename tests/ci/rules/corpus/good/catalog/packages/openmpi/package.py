from spack.package import *


class Openmpi(AutotoolsPackage):
    homepage = "https://example.org/openmpi"
    url = "https://example.org/openmpi-1.0.tar.gz"

    license("BSD-3-Clause")

    version("4.1.6", sha256="bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

    provides("mpi")

from spack.package import *


class Kratos(CMakePackage):
    homepage = "https://example.org/kratos"
    url = "https://example.org/kratos-1.0.tar.gz"

    license("MIT")

    version("9.4", sha256="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

    depends_on("openmpi@4:")

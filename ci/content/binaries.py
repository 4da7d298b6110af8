"""What a file is by its name and its first bytes: a program, known data, documentation, code."""

from __future__ import annotations

# what can be run, or holds what can be; `.com`, `.sif`, `.lib` and `.obj` are text elsewhere
_PROGRAMS = {
    **dict.fromkeys(("so", "dylib", "dll", "a", "o", "ko"), "a compiled library"),
    **dict.fromkeys(("exe", "msi", "appimage"), "a program"),
    **dict.fromkeys(("pyc", "pyo", "pyd", "class", "mexa64", "wasm"), "compiled code"),
    **dict.fromkeys(("jar", "war", "whl", "egg", "deb", "rpm", "conda"), "a packaged program"),
    **dict.fromkeys(("zip", "tar", "tgz", "tbz2", "txz", "7z", "rar", "iso"), "an archive"),
}
_COMPRESSED_TAR = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz")
_PROGRAM_STARTS = (
    (b"\x7fELF", "a compiled program (ELF)"),
    (b"\xfe\xed\xfa\xce", "a compiled program (Mach-O)"),
    (b"\xfe\xed\xfa\xcf", "a compiled program (Mach-O)"),
    (b"\xce\xfa\xed\xfe", "a compiled program (Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a compiled program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a compiled program (Mach-O or Java)"),
    (b"!<arch>\n", "a compiled library"),
    (b"\0asm", "a compiled program (WebAssembly)"),
    (b"PK\x03\x04", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"BZh", "an archive"),
    (b"\xfd7zXZ\0", "an archive"),
    (b"7z\xbc\xaf\x27\x1c", "an archive"),
    (b"\xed\xab\xee\xdb", "a packaged program"),
)
# data, pictures and papers that workflows carry, by suffix; spaces separate
_DATA_SUFFIXES = (
    "png jpg jpeg gif webp tif tiff bmp ico svg pdf ps eps ttf otf woff woff2 "
    "npy npz h5 hdf5 hdf nc nc4 netcdf cdf mat parquet feather arrow zarr fits grib grib2 grb bufr "
    "vtu vtp vts vtr vti vtk pvtu msh med stl exo e cgns xdmf ply off unv rst cas dat bin "
    "nii dcm mrc xtc trr dcd tpr pdb sac mseed segy sgy las laz shp shx dbf tfw onnx gz bz2 xz zst "
    "xls xlsx ods odt odp doc docx ppt pptx fmu mph mp4 webm avi wav mp3 sqlite db csv tsv"
)
_DATA = frozenset(_DATA_SUFFIXES.split())
_DATA_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"\x89HDF", b"CDF", b"\x93NUMPY")
_DOCUMENTATION = ("md", "rst", "txt", "ipynb", "adoc", "tex", "bib", "html")


def suffix(path: str) -> str:
    """The last suffix of a file's name in lower case, without its dot; empty if it has none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name[1:] else ""


def is_program_name(path: str) -> str:
    """What a file is that cannot be read by people and can be run, by its name; else empty."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(_COMPRESSED_TAR):
        return "an archive"
    if ".so." in name and name.rpartition(".so.")[2].replace(".", "").isdigit():
        return "a compiled library"
    return _PROGRAMS.get(suffix(path), "")


def program_kind(data: bytes) -> str:
    """What kind of program or archive a file is, by its first bytes; empty: none."""
    for start, kind in _PROGRAM_STARTS:
        if data.startswith(start):
            return kind
    if data.startswith(b"MZ") and b"PE\0\0" in data[:1024]:
        return "a compiled program (Windows)"
    # Python's own: a magic number, then CR LF; flags of 0 to 3 follow in four bytes
    if data[2:4] == b"\r\n" and len(data) >= 16 and data[4] < 4 and data[5:8] == b"\0\0\0":
        return "compiled code (Python)"
    return "an archive" if data[257:262] == b"ustar" else ""


def is_data(path: str, data: bytes) -> bool:
    """Whether it is data of a known format, by its name or its first bytes."""
    return suffix(path) in _DATA or data.startswith(_DATA_STARTS)


def is_documentation(path: str) -> bool:
    """Whether a file is for people: ``*.md``, ``*.txt``, ``*.rst``, ``*.ipynb`` and such.

    ``requirements*.txt``, ``CMakeLists.txt`` are not.
    """
    name = path.rpartition("/")[2].lower()
    if name.startswith(("requirements", "constraints", "cmakelists")):
        return False
    return suffix(path) in _DOCUMENTATION or name in {"readme", "license", "copying", "notice"}

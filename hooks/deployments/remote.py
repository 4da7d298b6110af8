"""The short shell scripts that deployments run on a site; read by ``sh -s``, values as arguments.

Exit codes of ours: ``DAMAGED`` (not what was sent), ``INCOMPLETE`` (something it needs is gone).
"""

from __future__ import annotations

from ci.errors import SiteError
from ci.site import Site
from hooks.sites.seams import Completed, Transport

DAMAGED, INCOMPLETE = 6, 7
SECONDS = 600.0  # removing and unpacking many small files on a shared disk takes its time
SECONDS_PER_GIGABYTE = 120.0  # checksums

# Other users of the site run what the deploying login puts here, hence the umask.
_HEAD = "umask 022\n"

# $1 root, $2 workflow: make the folders; remove what cuts have left. A copy under way is written
# to all the time, whereas a complete upload waits for its verification.
PREPARE = (
    _HEAD
    + """\
mkdir -p -- "$1/images" "$1/workflows/$2" || exit 1
find "$1/images" "$1/workflows/$2" -mindepth 1 -maxdepth 1 -name '.*' \\
  \\( -name '*.part' -mmin +15 -o -mmin +1440 \\) -exec rm -rf -- {} +
exit 0
"""
)
# $1 root, $2 workflow, $3 commit, then SHA-256s of images.
INSPECT = """\
root=$1 folder=$1/workflows/$2 commit=$3
shift 3
printf 'current %s\\n' "$(readlink -- "$folder/current")"
[ ! -d "$folder/$commit" ] || echo sources
for sha256 do
  size=$(stat -Lc %s -- "$root/images/$sha256.sif" 2>/dev/null) && echo "image $sha256 $size"
done
cd -- "$folder/$commit" 2>/dev/null && [ -f manifest.json ] && echo manifest && cat manifest.json
exit 0
"""
# $1 upload, $2 image, $3 SHA-256, $4 size: an upload becomes an image when it is what was sent.
VERIFY = (
    _HEAD
    + f"""\
if [ -f "$1" ] && [ "$(stat -c %s -- "$1")" = "$4" ]; then
  sum=$(sha256sum < "$1") || exit 1
  [ "${{sum%% *}}" = "$3" ] || {{ rm -f -- "$1"; exit {DAMAGED}; }}
  mv -fT -- "$1" "$2" || [ -f "$2" ] || exit 1
fi
[ "$(stat -Lc %s -- "$2" 2>/dev/null)" = "$4" ] || exit {INCOMPLETE}
"""
)
# $1 folder of the workflow, $2 commit, $3 archive: unpacked aside, then renamed as a whole.
UNPACK = (
    _HEAD
    + """\
cd -- "$1" || exit 1
if [ ! -d "$2" ]; then
  new=$(mktemp -d "./.$2.XXXXXX") || exit 1
  if ! { chmod 755 "$new" && tar -xf "$3" -C "$new" --no-same-owner; }; then
    rm -rf -- "$new"
    exit 1
  fi
  mv -T -- "$new" "$2" 2>/dev/null || { rm -rf -- "$new"; [ -d "$2" ] || exit 1; }
fi
rm -f -- "$3"
"""
)
# $1 root, $2 workflow, $3 commit, then SHA-256:size of images: all is there, so switch.
ACTIVATE = (
    _HEAD
    + f"""\
root=$1 commit=$3
cd -- "$1/workflows/$2" || exit {INCOMPLETE}
[ -f "$commit/manifest.json" ] || exit {INCOMPLETE}
shift 3
for image do
  size=$(stat -Lc %s -- "$root/images/${{image%:*}}.sif" 2>/dev/null)
  [ "$size" = "${{image#*:}}" ] || exit {INCOMPLETE}
done
rm -f -- ".current.$$" && ln -s -- "$commit" ".current.$$" && mv -T -- ".current.$$" current
"""
)
# $1 root: a line `workflow/commit current manifest` for each complete version.
LIST = """\
cd -- "$1/workflows" 2>/dev/null || exit 0
for file in */*/manifest.json; do
  version=${file%/manifest.json}
  [ -f "$file" ] && [ ! -L "$version" ] || continue
  printf '%s %s ' "$version" "$(readlink -- "${version%/*}/current" || echo -)"
  tr -d '\\n' < "$file" && echo
done
exit 0
"""
# $1 folder of the workflow, $2 commit or nothing for all of them.
DEACTIVATE = """\
cd -- "$1" 2>/dev/null || exit 0
if [ -z "$2" ] || [ "$(readlink -- current)" = "$2" ]; then rm -f -- current; fi
"""
# $1 root, $2 folder to remove, then SHA-256s of images to remove first.
REMOVE = """\
root=$1 folder=$2
shift 2
for sha256 do rm -f -- "$root/images/$sha256.sif" || exit 1; done
[ ! -e "$folder" ] || rm -rf -- "$folder"
"""


def call(
    transport: Transport,
    site: Site,
    what: str,
    script: str,
    *args: str,
    allowed: tuple[int, ...] = (),
    timeout: float = SECONDS,
) -> Completed:
    """Run a script; ``what`` completes "cannot …" when it fails with a code not ``allowed``."""
    done = transport.run(("sh", "-s", *args), stdin=script, timeout=timeout)
    if done.exit_code and done.exit_code not in allowed:
        lines = (done.stderr.strip() or f"exit code {done.exit_code}").splitlines()
        raise SiteError(
            f"cannot {what}: {lines[-1]}",
            site=site.name,
            hint=f"look at {site.paths.deploy} on the site: permissions, free space, quota",
        )
    return done

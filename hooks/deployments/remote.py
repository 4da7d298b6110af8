"""The short shell scripts that deployments run on a site; read by ``sh -s``, values as arguments.

Exit codes of ours: ``DAMAGED`` (not what was sent), ``INCOMPLETE`` (something it needs is gone).
"""

from __future__ import annotations

from builder.supply.signers import PRINCIPAL
from builder.supply.verify import NAMESPACE
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
cd -- "$root/images" 2>/dev/null && {
  sum() { set -- "$(sha256sum < "$1")" && printf ' %s' "${1%% *}"; }
  [ ! -f allowed_signers ] || echo "signers$(sum allowed_signers)"
  for sha256 do
    [ -e ".$sha256.damaged" ] || { size=$(stat -Lc %s -- "$sha256.sif" 2>/dev/null) &&
      echo "image $sha256 $size"; }
    [ ! -f "$sha256.provenance.json" ] || [ ! -f "$sha256.sig" ] ||
      echo "proof $sha256$(sum "$sha256.provenance.json")$(sum "$sha256.sig")"
  done
}
cd -- "$folder/$commit" 2>/dev/null && [ -f manifest.json ] && echo manifest && cat manifest.json
exit 0
"""
# $1 upload, $2 image, $3 SHA-256, $4 size: an upload becomes an image when it is what was sent.
# An image that was found damaged has a mark beside it, and counts as gone until it is replaced.
# Others may need the same image at the same time: they take the upload away, which has become it,
# and may even have sent it again. What cannot be read is sent once more.
VERIFY = (
    _HEAD
    + f"""\
mark=${{2%/*}}/.$3.damaged
if [ -f "$1" ] && [ "$(stat -c %s -- "$1")" = "$4" ]; then
  if sum=$(sha256sum < "$1"); then
    [ "${{sum%% *}}" = "$3" ] || {{ rm -f -- "$1"; exit {DAMAGED}; }}
    mv -fT -- "$1" "$2" && rm -f -- "$mark" || [ -f "$2" ] || exit 1
    echo verified
  fi
fi
[ ! -e "$mark" ] && [ "$(stat -Lc %s -- "$2" 2>/dev/null)" = "$4" ] || exit {INCOMPLETE}
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
# $1 root, $2 workflow, $3 commit, $4 SHA-256 of the allowed signers or -, then of each image
# SHA-256:size:provenance:signature:known (SHA-256s or -; known is + when it was just verified).
# All is there and is what it should be, so switch. Only OpenSSH from 8.1 on verifies signatures;
# asked without a namespace it says so, older ones know no -Y at all.
ACTIVATE = (
    _HEAD
    + f"""\
root=$1 workflow=$2 commit=$3 signers=$4
shift 4
cd -- "$root/images" || exit {INCOMPLETE}
damaged() {{ echo "damaged $1 $2"; exit {DAMAGED}; }}
is() {{ sum=$(sha256sum < "$2" 2>/dev/null) && [ "${{sum%% *}}" = "$1" ]; }}
verify() {{
  [ -f "$1.provenance.json" ] && [ -f "$1.sig" ] && [ -f allowed_signers ] || exit {INCOMPLETE}
  is "$2" "$1.provenance.json" || damaged provenance "$1"
  is "$3" "$1.sig" || damaged signature "$1"
  [ "$signers" = - ] || is "$signers" allowed_signers || damaged signers "$1"
  subject='{{"digest":{{"sha256":"'$1'"}},"name":"image.sif"}}'
  grep -qF -- "$subject" "$1.provenance.json" || damaged provenance "$1"
  [ -n "$able" ] || return 0
  ssh-keygen -Y verify -f allowed_signers -I {PRINCIPAL} -n {NAMESPACE} -s "$1.sig" \\
    < "$1.provenance.json" >/dev/null 2>&1 || damaged signature "$1"
  echo "signed $1"
}}
check() {{
  [ "$(stat -Lc %s -- "$1.sif" 2>/dev/null)" = "$2" ] || exit {INCOMPLETE}
  [ "$5" = + ] || is "$1" "$1.sif" || {{ : > ".$1.damaged"; damaged image "$1"; }}
  rm -f -- ".$1.damaged"
  [ "$3" = - ] || verify "$1" "$3" "$4"
}}
able=
case $(ssh-keygen -Y verify 2>&1 </dev/null) in *namespace*) able=yes ;; esac
for image do
  IFS=:
  set -f -- $image
  unset IFS
  check "$@"
done
cd -- "$root/workflows/$workflow" || exit {INCOMPLETE}
[ -f "$commit/manifest.json" ] || exit {INCOMPLETE}
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
for sha256 do
  image=$root/images/$sha256
  rm -f -- "$image.sif" "$image.provenance.json" "$image.sig" || exit 1
done
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

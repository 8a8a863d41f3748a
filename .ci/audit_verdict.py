"""What pip-audit found, in sentences: `audit_verdict.py DOCUMENT MESSAGES`.

Exit code 1 when a pinned package has a known vulnerability. pip-audit calls a package that its database does not have
"skipped" and ends well, also when that are all of them: then nothing was audited, and that is what is said.
"""

import json
import sys
from pathlib import Path


def main(document: Path, messages: Path) -> int:
    """Print the verdict; the exit code."""
    try:
        packages = json.loads(document.read_text("utf-8"))["dependencies"]
    except (ValueError, KeyError):
        last = messages.read_text("utf-8").strip().splitlines()[-1:]
        print("The database of vulnerabilities was unreachable: nothing was audited.", *last)
        return 0
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        print(f"The database of vulnerabilities was unreachable: none of {len(packages)} packages was audited.")
        return 0
    for package in audited:
        for found in package["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {found['id']}. Mended in: {mended}.")
    vulnerable = sum(bool(package["vulns"]) for package in audited)
    unknown = [package["name"] for package in packages if "vulns" not in package]
    print(f"{len(audited)} of {len(packages)} packages were audited; {vulnerable} have known vulnerabilities.")
    if unknown:
        print(f"Not in the database: {', '.join(unknown)}.")
    return int(vulnerable > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""Skill archives: what somebody uploaded is read entry by entry, checked, and rebuilt; only the rebuilt zip is kept.

    bytes  →  unpack (zip or tar.gz, counted)  →  paths (each name, and all together)  →  root  →  SKILL.md  →  rebuild

Pure: nothing is ever written to a file system, so nothing can escape into one.
"""

from agents.archives.package import Package, content_hash, files_of, read_package
from agents.archives.unpack import MAX_ENTRIES, MAX_UNPACKED

__all__ = ["MAX_ENTRIES", "MAX_UNPACKED", "Package", "content_hash", "files_of", "read_package"]

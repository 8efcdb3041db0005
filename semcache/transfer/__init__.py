"""Moving stored answers in and out: export, import, warming, migration and backup.

An export is JSON lines: a header, then an entry a line (`lines`, `header`). Files are written and
read so that what broke off goes on (`export_file`, `reading`).
"""

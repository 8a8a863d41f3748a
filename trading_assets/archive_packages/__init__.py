"""Archive packages: whole periods of a lake in a folder or under any fsspec URL, portable and verifiable.

A package holds Parquet files under the names they have in the lake, and `manifest.json`: schema, rows, SHA-256 and
checksums by column of each file, the lake's id and identity. Its coverage and the revisions of its periods are in it.
`manifest.json` is written last: a folder without it is no package.
"""

"""Collecting: the archive of one data folder, and what each dataset's collection does with it.

| place | holds |
| --- | --- |
| `archive` | the data folder opened: lake, journal, universe, broker; asking and writing |
| `recover` | what an interrupted run left in the journal, written before anything is planned |
| `steps/` | one module a dataset: covered? plan, ask, decode, report |
| `decode/` | answers as rows, pure |
| `backoff` | what failed lately and is not requested by the platform itself yet |
| `report` | what a collection did, in numbers and sentences |
| `progress` | what a caller is shown while it works |
"""

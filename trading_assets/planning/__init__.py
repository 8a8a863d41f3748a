"""Planning: wanted minus covered, as the fewest requests to the broker.

Pure functions: no I/O, no clock (`now` is given), no broker. A plan can be shown before it runs.

| module | decides |
| --- | --- |
| `instruments` | how lake rows become the instruments of requests |
| `contracts` | which underlyings are resolved or verified again |
| `chains` | which expiries are listed, which contracts quoted |
| `selection` | which contracts are wanted |
| `bars` | whose bars of which sessions are asked for, in which order |
| `windows` | end and duration of each bars request |
| `estimate` | requests, minutes, losses of a plan before it runs |
"""

"""One module a dataset: what is covered, what is planned, asked, decoded and reported, in that order.

Each takes the open archive and gives a `Collected`; nothing here knows Dagster, and nothing is written but what an
interrupted run left (`collecting.recover`).
"""

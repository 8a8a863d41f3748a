"""One module a dataset: what is covered, what is planned, asked, decoded and reported, in that order.

Each takes the open archive and gives a `Collected`; nothing here writes to the lake or knows Dagster.
"""

"""Tests of runs that workers take from a queue, on several machines."""

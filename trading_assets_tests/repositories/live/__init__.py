"""Tests of live data before it is in period files."""

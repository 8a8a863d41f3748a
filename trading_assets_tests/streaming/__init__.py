"""Tests of live data."""

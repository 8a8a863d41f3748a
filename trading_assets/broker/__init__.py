"""The broker side: requests, outcomes, the journal, pacing and the TWS client."""

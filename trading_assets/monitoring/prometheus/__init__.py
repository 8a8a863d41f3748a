"""The state of the platform as metrics in the text format of Prometheus.

`families` names each metric once, with its help and its labels; `state_metrics` and `lake_metrics` read them, as all
who read: nothing is written, and no broker is asked. `exposition` puts them together and answers in time whatever a
source does. What serves the text is `serving.metrics_page`.
"""

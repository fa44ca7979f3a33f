"""What the chart makes of its values: rendered by Helm, checked without a cluster."""

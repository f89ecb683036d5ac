"""What Grafana, Prometheus and Alertmanager are given; the dashboards are made from the code in this folder."""

"""The dashboards, one file each: every module has its BOARD."""

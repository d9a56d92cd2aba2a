"""Read motion capture files of many producers and convert them to joint-position files of Human3.6M's 17 joints."""

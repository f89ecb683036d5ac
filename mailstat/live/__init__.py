"""What a mail server does just now: the numbers of `mailstat top`, where they come from, and their screen."""

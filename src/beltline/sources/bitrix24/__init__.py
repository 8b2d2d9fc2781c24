"""What changes in a Bitrix24 portal: its events are hints, its lists are the truth."""

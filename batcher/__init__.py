"""Every row of a file through the OpenAI API, none lost and none repeated."""

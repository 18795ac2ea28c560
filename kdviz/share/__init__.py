"""What is looked at and taken away: views, links, one's own sentence, reports, BertViz."""

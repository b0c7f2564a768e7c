"""Where rows come from that need not fit in memory."""

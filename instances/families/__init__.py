"""What is worth asking? Networks and properties of the papers, built in memory."""

"""What is done to ids, addresses and refused records before anything is stored."""

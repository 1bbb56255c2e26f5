"""What does splitting the input set along rows of weights bring?"""

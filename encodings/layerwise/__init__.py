"""What does each layer-wise relaxation prove, from intervals to linear programs for every neuron?"""

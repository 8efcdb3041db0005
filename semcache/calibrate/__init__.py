"""From labelled pairs to a certified threshold: `semcache calibrate`.

records    reads pairs and logs
scoring    gate, guards, cosine and verifier for each pair
choosing   one half of the labels chooses the score, the other certifies its threshold
plot       the curve as a picture
"""

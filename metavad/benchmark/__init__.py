"""The experiment: few shots against none, on the same frames for every method, K and draw.

Support comes from the normal side of the target in seeded draws, never from a test video; frames that may be
shown are never scored; nothing looks at the test set but the figures. The only place that joins adapting,
scoring and evaluating; it gives a typed record, and an example of each scene for a report.

``protocol`` methods and figures · ``record`` · ``settings`` what was asked for · ``scene_trial`` a scene under test ·
``region_truth`` masks and tracks · ``parts`` one method on one scene, kept on disk · ``figures`` scores to rows ·
``differences`` rows against rows · ``examples`` · ``experiment`` all of it.
"""

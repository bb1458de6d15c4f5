"""The main job on real input: two spokes approve models, the hub gets their mirrors, the spokes are emptied.

``make demo`` runs it. It does only what people and SageMaker do from outside, with ordinary API calls to a
local AWS; everything between an approval and a mirror is the deployed system's doing.

How the rooms lie: `models` trains and packs, `program` is what the containers run, `scientist` is the person
in a spoke, `hub` looks at the hub, `story` has the acts in their order, `proof` loads the mirrors when
nothing else is left, `report` says what holds, `screen` draws.
"""

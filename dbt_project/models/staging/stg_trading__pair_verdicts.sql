select
    verdict_id,
    candidate_id,
    judge,
    relation,
    same_contract,
    polarity,
    confidence,
    basis_risk,
    judged_at
from {{ source('trading', 'pair_verdicts') }}

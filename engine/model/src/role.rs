//! Which part each feature of a detector plays in its model.

use crate::rate::Family;
use crate::signal::Shape;
use crate::spec::{Kind, Spec};
use crate::track::Method;
use crate::{auto, latency, seasonal};

/// The part of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// Compared with a number.
    Rule,
    /// Judged against what was learnt, with the feature `weight` as exposure or weight.
    Judged { method: Method, weight: Option<usize> },
    /// Goes with another feature.
    Companion,
}

impl Role {
    pub(crate) fn method(&self) -> Option<Method> {
        match self {
            Self::Judged { method, .. } => Some(*method),
            Self::Rule | Self::Companion => None,
        }
    }
}

/// Roles in the order of the features.
pub(crate) fn roles(spec: &Spec) -> Vec<Role> {
    let named = |name: &str| spec.features.iter().position(|feature| feature == name);
    let judged = |shape: Shape, weight| Role::Judged { method: Method::Signal(shape), weight };
    let each = |role: Role| vec![role; spec.features.len()];
    match &spec.kind {
        Kind::Limit(_) => each(Role::Rule),
        Kind::Scan(_)
        | Kind::Rare(_)
        | Kind::Tunnel(_)
        | Kind::Dga(_)
        | Kind::Beacon(_)
        | Kind::Cohort(_)
        | Kind::Changepoint(_)
        | Kind::Neural(_)
        | Kind::Novelty(_) => each(Role::Companion),
        Kind::Seasonal(_) | Kind::Multivariate(_) => each(judged(seasonal::SHAPE, None)),
        Kind::Auto(_) => each(judged(auto::SHAPE, None)),
        Kind::Count(_) => each(Role::Judged { method: Method::Rate(Family::Count), weight: None }),
        Kind::Ratio(_) => {
            let (hits, total) = (named("hits").unwrap_or(0), named("total").unwrap_or(1));
            let role = Role::Judged { method: Method::Rate(Family::Ratio), weight: Some(total) };
            (0..spec.features.len()).map(|feature| if feature == hits { role } else { Role::Companion }).collect()
        }
        Kind::Latency(_) => {
            let count = named("count");
            (0..spec.features.len())
                .map(|feature| if Some(feature) == count { Role::Companion } else { judged(latency::SHAPE, count) })
                .collect()
        }
    }
}

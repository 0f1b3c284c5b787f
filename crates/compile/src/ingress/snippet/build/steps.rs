//! The steps of a block, and the levels that its conditions select.

use headgate_table::{Level, Step};

use super::level::LevelDraft;
use crate::ingress::snippet::directive::{Directive, Placed};

/// Collects the levels while steps are built.
pub(crate) struct Steps {
    base: LevelDraft,
    levels: Vec<Level>,
}

impl Steps {
    /// `base` is the level while no condition has held.
    pub(super) fn new(base: LevelDraft) -> Self {
        let levels = vec![base.clone().finish()];
        Self { base, levels }
    }

    pub(super) fn base(&self) -> &LevelDraft {
        &self.base
    }

    pub(super) fn levels(self) -> Vec<Level> {
        self.levels
    }

    /// The steps of these directives; the others take effect by levels, or elsewhere.
    pub(super) fn run(&mut self, directives: &[Placed]) -> Vec<Step> {
        let steps = directives.iter().filter_map(|placed| self.step(placed));
        steps.collect()
    }

    fn step(&mut self, placed: &Placed) -> Option<Step> {
        Some(match &placed.directive {
            Directive::Set(target, value) => Step::Set {
                target: target.clone(),
                value: value.clone(),
            },
            Directive::Rewrite(rewrite) => Step::Rewrite(rewrite.clone()),
            Directive::Return(response) => Step::Return(response.clone()),
            Directive::Break => Step::Break,
            Directive::If(condition, inner) => {
                let level = self.levels.len();
                self.levels.push(self.base.inner(inner).finish());
                Step::If {
                    condition: condition.clone(),
                    steps: self.run(inner).into(),
                    level,
                }
            }
            _ => return None,
        })
    }
}

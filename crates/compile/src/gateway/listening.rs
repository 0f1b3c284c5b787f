//! Which listener of a Gateway a connection is for.

use std::net::SocketAddr;
use std::sync::Arc;

use super::hostname::Hostname;
use super::listener::{Listener, Place, Protocol};
use super::state::State;
use crate::{ObjectRef, objects};

/// A listener of a Gateway or ListenerSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingListener {
    /// The Gateway or ListenerSet that has it.
    pub parent: ObjectRef,
    /// Its name.
    pub name: Arc<str>,
}

impl State {
    /// The listener with the socket at `address` that is for `name`: of several, the one with the most specific hostname.
    pub(crate) fn listener(
        &self,
        (address, protocol): (SocketAddr, objects::Protocol),
        name: Option<&str>,
    ) -> Option<ServingListener> {
        let asked = Hostname::of(name);
        let is_there = |listener: &&Listener| {
            let is_datagrams = listener.protocol == Some(Protocol::Udp);
            listener.is_served()
                && listener.place == Place::Open(address.port())
                && is_datagrams == (protocol == objects::Protocol::Udp)
                && listener.hostname.covers(&asked)
        };
        let mut gateways = self.gateways.values();
        let gateway = gateways.find(|gateway| {
            let is_bound = gateway.placement.bound.contains(&address.ip());
            is_bound && gateway.listeners.iter().any(|listener| is_there(&listener))
        })?;
        let listeners = gateway.listeners.iter().filter(is_there);
        let listener = listeners.min_by_key(|listener| &listener.hostname)?;
        Some(ServingListener {
            parent: listener.parent.clone(),
            name: listener.name.clone(),
        })
    }
}

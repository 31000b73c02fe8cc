//! The services of a run: started, killed, frozen, and what they leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use pulse_testkit::servers::free_port;

use super::plan::{Action, Role};
use crate::process::Process;

/// Ends of services that nobody wanted. After more of them a run is over.
const MAX_FAULTS: usize = 20;
/// Lines that are shown of a service that ended by itself.
const LAST_LINES: usize = 5;

/// A service in its slot.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) process: Process,
}

/// Services, and the logs of those that are gone. All end with the value.
#[derive(Debug)]
pub(super) struct Fleet {
    environment: Vec<(String, String)>,
    /// The folders of use cases by which services are started: two versions.
    versions: [String; 2],
    /// Those that are started by the second.
    switched: BTreeSet<Role>,
    /// Of the ML services, which keep them.
    ports: Vec<u16>,
    members: BTreeMap<(Role, usize), Member>,
    /// Those that were told to stop.
    leaving: Vec<((Role, usize), Member)>,
    starts: u32,
    logs: Vec<(String, Vec<String>)>,
    faults: Vec<String>,
}

impl Fleet {
    pub(super) fn new(environment: Vec<(String, String)>, versions: [String; 2]) -> anyhow::Result<Self> {
        let ports = (0..Role::MlService.count().1).map(|_| free_port()).collect::<anyhow::Result<_>>()?;
        let (members, leaving, logs, faults) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        let switched = BTreeSet::new();
        Ok(Self { environment, versions, switched, ports, members, leaving, starts: 0, logs, faults })
    }

    /// Where the ML services listen.
    pub(super) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Starts services in `role` by the other version from now on.
    pub(super) fn switch(&mut self, role: Role) {
        if !self.switched.remove(&role) {
            self.switched.insert(role);
        }
    }

    /// Starts something that has no slot.
    pub(super) fn process(&self, binary: &str, more: &[(&str, &str)]) -> anyhow::Result<Process> {
        let of_all = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let version = ("PULSE__USECASES", self.versions[0].as_str());
        let environment: Vec<_> = of_all.chain([version]).chain(more.iter().copied()).collect();
        Process::start(binary, &environment)
    }

    pub(super) async fn act(&mut self, role: Role, slot: usize, action: Action) -> anyhow::Result<()> {
        let place = (role, slot);
        match action {
            Action::Start => return self.start(role, slot).await,
            Action::Switch => self.switch(role),
            Action::Freeze => self.member(place)?.process.signal("STOP")?,
            Action::Thaw => self.member(place)?.process.signal("CONT")?,
            Action::Kill => {
                let mut member = self.members.remove(&place).context("a service that does not run")?;
                member.process.kill().await?;
                self.bury(&member);
            }
            Action::Stop => {
                let member = self.members.remove(&place).context("a service that does not run")?;
                member.process.signal("TERM")?;
                self.leaving.push((place, member));
            }
        }
        Ok(())
    }

    async fn start(&mut self, role: Role, slot: usize) -> anyhow::Result<()> {
        let place = (role, slot);
        // It may still have its port.
        while let Some(index) = self.leaving.iter().position(|(left, _)| role == Role::MlService && *left == place) {
            let (_, member) = self.leaving.remove(index);
            self.part(member).await?;
        }
        let port = self.ports.get(slot).filter(|_| role == Role::MlService).map(u16::to_string);
        let version = &self.versions[usize::from(self.switched.contains(&role))];
        let mut more = vec![("PULSE__USECASES", version.as_str())];
        more.extend(port.as_deref().map(|port| ("PULSE__ML_SERVICE__PORT", port)));
        let process = self.process(role.binary(), &more)?;
        self.starts += 1;
        let name = format!("{:03}-{}-{slot}", self.starts, role.binary());
        self.members.insert(place, Member { name, process });
        Ok(())
    }

    pub(super) fn member(&mut self, place: (Role, usize)) -> anyhow::Result<&mut Member> {
        self.members.get_mut(&place).with_context(|| format!("{place:?} does not run"))
    }

    pub(super) fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.values_mut()
    }

    /// Notes who has ended without being told to, and starts it again, as whatever looks after services would.
    pub(super) async fn look_after(&mut self) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for (&place, member) in &mut self.members {
            if let Some(status) = member.process.ended()? {
                ended.push((place, status));
            }
        }
        for (place, status) in ended {
            if let Some(member) = self.members.remove(&place) {
                self.fault(&member, &format!("ended by itself ({status})"));
                self.bury(&member);
            }
            self.start(place.0, place.1).await?;
        }
        ensure!(self.faults.len() <= MAX_FAULTS, "services end all the time:\n{}", self.faults.join("\n"));
        Ok(())
    }

    /// Stops all, and waits for their ends.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let places: Vec<(Role, usize)> = self.members.keys().copied().collect();
        for (role, slot) in places {
            self.act(role, slot, Action::Stop).await?;
        }
        self.parted().await
    }

    /// Kills all.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        for member in self.members.values_mut().chain(self.leaving.iter_mut().map(|(_, member)| member)) {
            member.process.kill().await?;
        }
        Ok(())
    }

    /// Waits for the ends of all that were told to stop.
    pub(super) async fn parted(&mut self) -> anyhow::Result<()> {
        for (_, member) in std::mem::take(&mut self.leaving) {
            self.part(member).await?;
        }
        Ok(())
    }

    /// Waits for the end of one that was told to stop.
    async fn part(&mut self, mut member: Member) -> anyhow::Result<()> {
        let status = member.process.end().await.with_context(|| member.name.clone())?;
        if !status.success() {
            self.fault(&member, &format!("ended badly when it was told to stop ({status})"));
        }
        self.bury(&member);
        Ok(())
    }

    fn fault(&mut self, member: &Member, what: &str) {
        let said = member.process.said();
        let last = said[said.len().saturating_sub(LAST_LINES)..].join("\n    ");
        self.faults.push(format!("{} {what}; it said last:\n    {last}", member.name));
    }

    fn bury(&mut self, member: &Member) {
        self.logs.push((member.name.clone(), member.process.said()));
    }

    /// What went wrong with services themselves so far.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Writes the logs of all that ever ran into `folder`.
    pub(super) fn write_logs(&self, folder: &Path) -> anyhow::Result<()> {
        let there = self.members.values().chain(self.leaving.iter().map(|(_, member)| member));
        let there = there.map(|member| (member.name.clone(), member.process.said()));
        for (name, lines) in self.logs.iter().cloned().chain(there) {
            fs::write(folder.join(format!("{name}.log")), lines.join("\n"))?;
        }
        Ok(())
    }
}

//! `umbra methods`, `umbra studies`, `umbra devices`: what there is.

use serde_json::json;

use super::{catalog, complain, print};
use crate::device;
use crate::experiment::catalog::sections;
use crate::experiment::{Library, Scale, Setting, Stage, Value};
use crate::settings::{Devices, Studies, StudiesCommand};

/// Lists the methods, their options and the settings of every stage.
pub fn methods(as_json: bool) -> anyhow::Result<()> {
    let catalog = catalog();
    if as_json {
        let stages =
            |method| Stage::ALL.map(|stage| json!({ "stage": stage, "sections": sections(stage, method), "measures": stage.measures() }));
        let all: Vec<_> = catalog
            .methods
            .iter()
            .map(|m| json!({ "method": m, "stages": stages(m) }))
            .collect();
        return print(&serde_json::to_string_pretty(&all)?);
    }
    for method in &catalog.methods {
        print(&format!(
            "{}  {} ({})\n    {}",
            method.name, method.title, method.paper, method.summary
        ))?;
        method
            .options
            .settings
            .iter()
            .try_for_each(|setting| print(&describe(method.options.name, setting)))?;
    }
    print("\nSettings of the stages (also for --set):")?;
    for section in Stage::ALL
        .into_iter()
        .rev()
        .flat_map(|stage| sections(stage, &catalog.methods[0]))
        .filter(|s| s.name != "method")
    {
        print(&format!("[{}]", section.name))?;
        section
            .settings
            .iter()
            .try_for_each(|setting| print(&describe(section.name, setting)))?;
    }
    print("\nWhat the stages measure (for the columns of a study):")?;
    for stage in Stage::ALL {
        print(&format!("[{stage}]"))?;
        for measure in stage.measures().results() {
            let (heading, better) = (measure.unit.behind(measure.title), measure.better.text());
            print(&format!("    {}   {heading}, {better}. {}", measure.name, measure.meaning))?;
        }
    }
    Ok(())
}

fn describe(section: &str, setting: &Setting) -> String {
    let (default, allowed) = (Value::from(setting.default), setting.kind.allowed());
    format!(
        "    {section}.{} = {default}   {} Allowed: {allowed}. Source: {}.",
        setting.key,
        setting.explained(),
        setting.source
    )
}

/// Lists the studies and scales, or plans studies.
pub fn studies(args: Studies) -> anyhow::Result<()> {
    if let Some(StudiesCommand::Plan(args)) = args.what {
        return super::plan::plan(&args);
    }
    let library = Library::new(&args.data_dir.data_dir);
    let (studies, scales) = (library.all(), Scale::built_in());
    for fault in library.faults() {
        complain(&anyhow::anyhow!(fault));
    }
    if args.json {
        let studies: Vec<_> = studies.iter().map(|study| study.as_ref()).collect();
        return print(&serde_json::to_string_pretty(&json!({ "studies": studies, "scales": scales }))?);
    }
    for study in &studies {
        print(&format!("{}  {}\n    {}", study.name, study.title, study.summary))?;
    }
    print("\nScales:")?;
    scales
        .iter()
        .try_for_each(|scale| print(&format!("{}  {}", scale.name, scale.summary)))
}

/// Lists the devices.
pub fn devices(args: &Devices) -> anyhow::Result<()> {
    let found = args.probe.as_deref().map_or_else(device::list, device::probe);
    if args.json || args.probe.is_some() {
        return print(&serde_json::to_string(&found)?);
    }
    found
        .iter()
        .try_for_each(|device| print(format!("{:8} {}   {}", device.name, device.description, device.driver).trim_end()))
}

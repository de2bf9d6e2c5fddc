//! The OpenAPI description, made of the types that are answered.

use margay_core::Alert;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::overview::Overview;
use crate::web::api::{AlertList, Wanted};

/// What every failure says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Trouble {
    /// What is wrong.
    pub(super) error: String,
}

/// The description.
pub(super) fn description() -> Value {
    let in_components = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaSettings::draft2020_12().with(in_components).into_generator();
    let overview = answer::<Overview>(&mut generator, "The state of every detector, silence, budget and sink");
    let alerts = answer::<AlertList>(&mut generator, "Alerts, the newest first");
    let alert = answer::<Alert>(&mut generator, "One alert");
    let id = json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } });
    let refused = answer::<Trouble>(&mut generator, "The request is not understood");
    let missing = answer::<Trouble>(&mut generator, "There is no such alert");
    let unready = answer::<Trouble>(&mut generator, "The daemon stands by, or its state cannot be read now");
    let unready = &unready;
    let own = answer::<serde_json::Map<String, Value>>(&mut generator, "This description");
    let paths = json!({
        "/api/v1/status": get("status", json!([]), json!({ "200": overview, "503": unready })),
        "/api/v1/alerts": get("alerts", parameters(), json!({ "200": alerts, "400": refused, "404": missing, "503": unready })),
        "/api/v1/alerts/{id}":
            get("alert", json!([id]), json!({ "200": alert, "400": refused, "404": missing, "503": unready })),
        "/api/v1/openapi.json": get("description", json!([]), json!({ "200": own })),
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "margay", "version": env!("CARGO_PKG_VERSION"), "description": "What the daemon sees and says. For reading only." },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn get(name: &str, parameters: Value, responses: Value) -> Value {
    json!({ "get": { "operationId": name, "parameters": parameters, "responses": responses } })
}

fn answer<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Value {
    let schema = generator.subschema_for::<T>();
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// The parameters of a query for alerts: the fields of [`Wanted`].
fn parameters() -> Value {
    let inline = |settings: &mut SchemaSettings| settings.inline_subschemas = true;
    let schema = SchemaSettings::draft2020_12().with(inline).into_generator().into_root_schema_for::<Wanted>();
    let parameter = |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "schema": schema });
    schema.as_value()["properties"].as_object().into_iter().flatten().map(parameter).collect()
}

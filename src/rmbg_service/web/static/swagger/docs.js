// What stays empty is not sent. Swagger UI would fill a form with values that it makes up, and send
// the fields that are left blank.
const EmptyForms = () => ({
  afterLoad({ fn }) {
    const { getSampleSchema } = fn;
    fn.getSampleSchema = (schema, contentType, ...rest) =>
      contentType === false ? "" : getSampleSchema(schema, contentType, ...rest); // false: a field
  },
  wrapComponents: { ParameterIncludeEmpty: () => () => null },
  statePlugins: {
    oas3: {
      wrapActions: {
        // The body in one form, such as a file, is not the one in another.
        setRequestContentType: (set, { oas3Actions }) => (choice) => {
          oas3Actions.setRequestBodyValue({ value: "", pathMethod: choice.pathMethod });
          return set(choice);
        },
      },
    },
  },
});

/** The first media type of a response that is a picture, which Swagger UI then shows. */
const pictureType = ({ responses }) =>
  Object.keys(responses["200"]?.content ?? {}).find((type) => type.startsWith("image/"));

// The paths are those of this service, wherever a proxy has put it.
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => {
    const ui = SwaggerUIBundle({
      spec: { ...spec, servers: [{ url: new URL(".", location.href).href }] },
      dom_id: "#swagger-ui",
      deepLinking: true,
      plugins: [EmptyForms],
      // The badge of an online validator would be the only request to another host.
      validatorUrl: null,
      onComplete: () => {
        for (const [path, operations] of Object.entries(spec.paths))
          for (const [method, operation] of Object.entries(operations)) {
            const value = pictureType(operation);
            if (!value) continue;
            ui.oas3Actions.setResponseContentType({ value, path, method }); // sent as Accept
            ui.specActions.changeProducesValue([path, method], value); // shown
          }
      },
    });
  });

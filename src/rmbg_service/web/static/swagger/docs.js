// The paths are those of this service, wherever a proxy has put it.
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) =>
    SwaggerUIBundle({
      spec: { ...spec, servers: [{ url: new URL(".", location.href).href }] },
      dom_id: "#swagger-ui",
      deepLinking: true,
      // The badge of an online validator would be the only request to another host.
      validatorUrl: null,
    }),
  );

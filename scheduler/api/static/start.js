window.ui = SwaggerUIBundle({
  dom_id: "#api",
  url: "/openapi.yaml",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "none",
  persistAuthorization: false,
  validatorUrl: null,
});

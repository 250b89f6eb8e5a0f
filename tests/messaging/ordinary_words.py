"""Words of letters and messages from any clinic, which tell nothing of what is treated there. No test lives here."""

from __future__ import annotations

ENGLISH = """
a about above across after again against ago ahead all almost alone along already also although always am among amount
an and another answer any anybody anyone anything apart apply appointment are area arm around arrange arrive as ask at
away baby back bag be because become bed been before begin behind being below beside best better between big bill bit
blood blue board body book booked both bottle box breakfast breath bring brother building bus business busy but button
buy by call came can cancel cannot car card care carry case center chair change charge check child children choose
city class clean clear clinic clock close clothes cloud code coffee cold come comfortable company complete confirm
contact cook copy corner correct could country course cover cross cup daily dark date daughter day deal dear decide
deep delay deliver department depart dentist desk detail did die different difficult dinner direct discuss do doctor
does dog done door doubt down draw dress dressing dried drink drive driver drop drove dry due during each ear early
eat edge either else email emergency empty end enough enter entire entrance envelope equal escort esteem estate
estimate even evening ever every exact exam example except exercise expect explain eye face fact fall family far fast
father fee feel feet fell felt few field fill final find fine finger finish first fit five fix floor follow food foot
for form found four free fresh friday friend from front full fusion garden gate gave general get gift give glad glass
go good got grand great green ground group grow guess guest had half hall hand happen happy hard has hat have he head
health hear heart heat heavy held hello help her here high him his hold holiday home hope hospital hot hour house how
hundred hungry husband ice idea if ill important in inch include indeed infant inform ink insect inside instead
insurance interest into invite is island it item its jacket job join jointly just keep kept key kind kitchen knee know
lab land language large last late later laugh lead leaf learn least leave left leg less let letter level lie life lift
light like line list listen little live local lock long look lose lot loud love low lunch machine mad made mail main
make male man many map march mark market matter may maybe me meal mean measure meat medic meet member men mention
message met middle might mile milk mind mine minute miss moment monday money month more morning most mother mouth move
much music must my name narrow nation nature near neck need never new news next nice night nine no noise none noon
north nose not note nothing notice now number nurse object of off offer office often oil old on once one only open or
orange order other our out outside over own pack page paid pain paint pair paper parent park part partner party pass
passed past patient pay pen people perhaps period permit person phone photo pick picture piece place plan plant plate
play please plenty point policy poor possible post pound practice pray prepare present press pressed pretty price
private problem promise proper provide public pull push put quarter question quick quiet quite radio rain ran rap rate
reach read ready real reason receive reception record red refer rest result return ride right ring river road room
round row rule run safe said same sat save saw say school sea season seat second section sedan see seem send sent
separate serious serve service set seven several shade shall shape share she sheet shirt shoe shop short should show
shut sick side sign silent simple since sister sit six size skin sleep slow small smile snow so soap sock soft some
somebody son soon sore sorry sort sound soup south space speak special spend spoke spoon spot spring square stage
stair stand star start state station stay step still stomach stone stop store story straight street strong study such
sugar suit suite summer sun sunday sure surgery sweet table take talk tall taste tea teach team tear tell ten term
test text than thank that the their them then there these they thick thin thing think third this those though thought
three through thursday ticket tie time tired to today together told tomorrow tonight too took tooth top total touch
toward tower town toy train transport traum travel tray treat treated tree trial trip trouble true trust try tuesday
turn twelve twenty two type uncle under unit until up upon us use usual vaccine very video view visit visitor voice
wait walk wall want warm was wash watch water way we wear weather wednesday week weight welcome well went were west
wet what wheel when where which while white who whole why wide wife will win wind window wine winter wish with within
without woman word work world worry would write wrong year yellow yes yesterday yet you young your zone
"""

SPANISH = """
a abajo abierto abrigo abril abuela acaba aceptar acerca acompañar acuerdo adelante además adiós adonde adulto agosto
agua ahora aire al alegre algo alguien algún allí alta alto amable ambos amiga amigo amor an ancho anda anillo animal
anoche anotar ante anterior antes antigua año apellido aquel aquí árbol arriba arte así asiento asunto atención atrás
aún aunque autobús avenida avisar aviso ayer ayuda azul bajar bajo banco baño barrio bastante beber bebida bien blanco
boca bolsa bonito brazo buen bueno buscar cabeza cada caer café caja calle calor cama cambiar cambio caminar camino
camisa cantidad cara carne carro carta casa casi caso catorce causa cena centro cerca cerrado cielo cien cierto cinco
cita ciudad claro clase clínica coche cocina coma comer comida como cómodo compañía comprar con conducir confirmar
conmigo conocer conservar contar contestar contigo contra copia corazón correcto correo corto cosa costar creer cruz
cual cuando cuanto cuarto cuatro cubo cuello cuenta cuerpo cuidado cumplir dar datos de debajo deber decir dedo dejar
del delante demás dentro depende deporte depósito derecha desayuno descansar desde desear despacio después destino
detalle detrás día diciembre dicho diente diez difícil dinero dirección disculpe distinto do doce doctor dolor
domicilio domingo don donde dormir dos dulce duda durante edad edificio ejemplo el ella ellos empezar en encima
encontrar enero enfermera entonces entrada entrar entre enviar era es esa escalera escribir escuchar escuela ese eso
espalda español esperar esposa esta está estación estar este estimado esto estudiar evitar examen explicar fácil falta
familia farol favor febrero fecha feliz fiebre fila fin final firma foto frente fresco frío fruta fuera fuerte fui
ganar gente gracias gran grande gratis grave grupo guardar gusto haber hablar hacer hacia hambre han hasta hay he
hecho hermana hermano hija hijo hogar hoja hola hombre hora horario hospital hotel hoy hubo huevo idea idioma igual
importante incluso indicar informar inicio invierno ir izquierda jardín jefe joven jueves jugo julio junio junto justo
juventud la lado largo las lavar le leche leer lejos lengua lento letra levantar libre libro limpio línea lista listo
llamada llamar llave llegada llegar llenar lleno llevar llover lo local luego lugar luna lunes luz madre mal malo
mañana mano mapa máquina mar marido martes marzo más mayo mayor me media medico medio mejor menor menos mensaje
mente mentira mercado mes mesa mi miedo miembro mientras miércoles mil minuto mío mirar mismo mitad modo
molestar momento mostrar mover mucho mujer mundo muy nada nadie necesitar ningún niña niño no noche nombre norte nos
nosotros nota noticia noventa noviembre nueve nuevo número nunca o ochenta ocho octubre ocupado oficina oír ojo
olvidar once opción orden otoño otra otro paciente padre pagar página país palabra pan pantalla papel par para parada
parar parecer pared pariente parque parte pasado pasar paso pasta pedir pelo pensar peor pequeño perder perdón pero
persona pesar pie piel pierna piso plaza poco poder poner por porque portal posible precio preciso preferir pregunta
preparar presión prestar primera primero prisa privado problema programa pronto propio próximo prueba pueblo puede
puerta pues punto que quedar querer quien quince quitar quizá rápida rápido rato razón recibir recoger recordar regla
regresar responder resto resultado reunión rojo ropa saber sábado sacar sala salir salud sangre se sé seco sed segundo
seguro seis semana sencillo señor señora sentado sentir septiembre ser servicio si sí siempre siete siglo siguiente
silencio silla sin sitio sobre sol sola solo son sonido su suave subir sucio suelo sueño suerte sur suyo tal también
tampoco tan tanto tarde tarea tarjeta te té teléfono temprano tener terminar tía tiempo tienda tiene tierra tío toca
tocar todavía todo tomar trabajo traer tráfico tranquilo transporte tras trata tratar trato trece treinta tren tres
triste tu turno último un una unidad uno usar usted vacío varios vecino veinte venir venta ventana ver verano verdad
verde vestir vez viaje vida vídeo viejo viento viernes visita visitar vista vivir volver voz vuelta y ya yo zapato
zona
"""

#: What is written with figures and signs, and what stands around it.
FIGURED = """
10am 24h 9:00 1st 2nd 3rd 4th 5th 21st B12 A1C A4 H2O COVID-19 MP3 4x4 24/7 3B 12A 1-800-555-0142 +1 212-555-0142 $20
20$ 100% 50€ 2030-03-04 P.O. 5pm 3PM i5 7up Q1 v2 2ª 3º 4K 5G 1V Room 101B Suite 4A Apt 5D pat@example.org
info@clinic.example.org m0 t1 N95 1a 2o 3er 1er 8va No.4 #12 18h30 7h 1h30 90min 30s 15min 2x1 @northgate
"""
